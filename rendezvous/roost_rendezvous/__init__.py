"""Deciding: the schedule, the mailboxes, the rendezvous server and the state injector."""
