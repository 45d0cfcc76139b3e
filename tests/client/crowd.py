"""Many threads that start at once."""

import threading


def crowd(size, do):
    """Call `do` in `size` threads at once; return what each returned or raised."""
    barrier = threading.Barrier(size)
    results = [None] * size

    def one(number):
        barrier.wait()
        try:
            results[number] = do()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return results
