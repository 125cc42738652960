"""Recognises an unmerge, so that the codes from before the merge come back bit for bit.

A merge assigns M = B + delta, which is encoded with some error E. An unmerge then assigns
(M + E) - delta = B + E. So: where the newly assigned matrix differs from the earlier codes' B by
that very error and by nothing else, the earlier codes are what is wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from helix_substrate.torch.codes import Codes
from helix_substrate.torch.tiles import decode_rows, row_tiles

SAMPLED_ROWS = 16
ROUNDINGS = 8  # how many rounding errors of the weights a merge and an unmerge may add up to
NORM_SLACK = 4  # DoRA scales the rows, and so the error, by a factor near one


class PreviousCodes:
    """The codes before an assignment, and what is known of the assignment's encoding error.

    Kept besides the codes: two numbers per row, and the error itself in a few rows.
    """

    def __init__(self, previous: Codes, current: Codes, assigned: Tensor) -> None:
        rows, columns = assigned.shape
        self.codes = previous
        sampled = torch.linspace(0, rows - 1, min(rows, SAMPLED_ROWS)).round().long()
        self.sampled = sampled.to(assigned.device)
        errors, magnitudes, samples = [], [], []
        for begin, end in row_tiles(rows, columns):
            wanted = assigned[begin:end].to(torch.float32)
            error = decode_rows(current, columns, begin, end) - wanted
            errors.append(error.norm(dim=1))
            magnitudes.append(wanted.norm(dim=1))
            samples.append(error[self._sampled_in(begin, end)])
        self.error_norms = torch.cat(errors)  # (rows,)
        self.magnitudes = torch.cat(magnitudes)  # (rows,)
        self.sampled_errors = torch.cat(samples)  # (sampled rows, columns)

    def to(self, device: torch.device) -> None:
        """Moves it along with its module."""
        self.codes = Codes(*(None if part is None else part.to(device) for part in self.codes))
        self.sampled = self.sampled.to(device)
        self.error_norms = self.error_norms.to(device)
        self.magnitudes = self.magnitudes.to(device)
        self.sampled_errors = self.sampled_errors.to(device)

    def are_wanted(self, assigned: Tensor) -> bool:
        """Whether the matrix now assigned is the earlier one with the merge's error on it."""
        rows, columns = assigned.shape
        epsilon = torch.finfo(assigned.dtype).eps
        taken = 0
        for begin, end in row_tiles(rows, columns):
            base = decode_rows(self.codes, columns, begin, end)
            difference = assigned[begin:end].to(torch.float32) - base
            magnitudes = self.magnitudes[begin:end] + base.norm(dim=1)
            rounding = ROUNDINGS * epsilon * magnitudes
            limit = NORM_SLACK * self.error_norms[begin:end] + rounding
            if bool((difference.norm(dim=1) > limit).any()):
                return False
            places = self._sampled_in(begin, end)
            errors = self.sampled_errors[taken : taken + len(places)]
            taken += len(places)
            left = _without_component(difference[places], errors)
            if bool((left.norm(dim=1) > rounding[places]).any()):
                return False
        return True

    def _sampled_in(self, begin: int, end: int) -> Tensor:
        inside = (self.sampled >= begin) & (self.sampled < end)
        return self.sampled[inside] - begin


def _without_component(rows: Tensor, directions: Tensor) -> Tensor:
    """Each row less its part along its direction."""
    squares = (directions * directions).sum(1, keepdim=True)
    along = (rows * directions).sum(1, keepdim=True)
    factor = torch.where(squares > 0, along / squares.clamp_min(1e-30), 0)
    return rows - factor * directions
