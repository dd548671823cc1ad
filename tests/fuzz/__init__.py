"""An attack on the webhook's decision: structured fuzzing of real reviews, judged by labels and by a slow reference."""
