from __future__ import annotations

from pipeline.synthesis.tiling import split_rows


def test_strips_are_even_and_longer_than_a_halo() -> None:
    for height in (2, 8, 9, 31, 64, 101, 1000):
        for rows in (0, 8, 9, 30, 64, 2000):
            strips = split_rows(height, rows)
            assert [begin for begin, _ in strips] == [0, *(end for _, end in strips[:-1])]
            assert strips[-1][1] == height
            assert all(begin % 2 == 0 for begin, _ in strips)
            # a block sees up to 4 rows beyond a strip: no strip but an only one is shorter
            assert len(strips) == 1 or min(end - begin for begin, end in strips) >= 4
            assert max(end - begin for begin, end in strips) <= max(rows + 5, 12)
