"""Inputs and streams: which variables a model uses, which say the same, who reads what, and what the machine bears.

The book's "Secret Sauce" of feature hygiene (ch. 4, "Annotate and Document", leave-one-out) and ch. 6, "Hidden
Dependencies". Everything works on rows from anywhere; nothing is imported here, so that numpy is paid for where used.
"""
