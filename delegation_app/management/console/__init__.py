"""Shared parts of the commands: the actor, the arguments, and the output."""
