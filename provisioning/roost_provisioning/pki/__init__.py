"""The fleet's authority: roots, issuing authorities, tokens, the ledger of what was issued, the enrolment desk."""
