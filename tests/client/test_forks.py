import gc

from delegation_app.client.http import fork_safety


class Thing:
    def __init__(self):
        self.renewed = 0

    def renew(self):
        self.renewed += 1


def test_renew_when_a_process_forks_then_everything_that_lives_starts_anew():
    thing = Thing()
    fork_safety.renew_after_fork(thing)

    fork_safety._renew()

    assert thing.renewed == 1


def test_renew_when_a_thing_is_gone_then_nobody_holds_it():
    before = len(fork_safety._known)
    thing = Thing()
    fork_safety.renew_after_fork(thing)
    del thing
    gc.collect()

    assert len(fork_safety._known) <= before
