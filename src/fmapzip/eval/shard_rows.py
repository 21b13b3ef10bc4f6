"""Which images a shard has: a range of the batches that one run has."""

from __future__ import annotations


def shard_rows(images: int, batch: int, part: tuple[int, int]) -> tuple[range, int]:
    """The images of a shard, and how many batches they are.

    Parameters
    ----------
    images, batch
        Of all shards together, and in one batch.
    part
        ``(i, n)``: of `n` shards the one of index `i`.

    Examples
    --------
    >>> [shard_rows(10, 4, (i, 2)) for i in range(2)]
    [(range(0, 8), 2), (range(8, 10), 1)]
    """
    batches = -(-images // batch)
    first, end = (-(-batches * i // part[1]) for i in (part[0], part[0] + 1))  # the first shard has the first image
    return range(min(first * batch, images), min(end * batch, images)), end - first
