"""A model server for evaluations on the node: real llama.cpp, and ways in which a server goes wrong. No part of the product."""
