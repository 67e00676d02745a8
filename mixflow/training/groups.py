"""Groups: which samples which components may explain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Divide samples among G groups, as one padded index.

    A mixture of G K components is trained as G mixtures at once: component g K + k sees the
    samples of group g only. One group is ordinary EM; a group per class is maximum-likelihood
    classification; several groups with the same samples are independent restarts.

    Attributes
    ----------
    index
        Sample numbers, shape (G, n), n the size of the largest group; padding repeats a
        sample of the group.
    weight
        Sample weights, shape (G, n); 0 marks padding.
    """

    index: Tensor
    weight: Tensor

    @property
    def n_groups(self) -> int:
        """G."""
        return len(self.index)

    @property
    def size(self) -> int:
        """n, the size of the largest group."""
        return self.index.shape[1]

    @classmethod
    def single(cls, n_samples: int, sample_weight: Tensor | None = None) -> Groups:
        """Put all samples into one group."""
        ones = torch.ones(n_samples, dtype=torch.float32, device="cpu")
        weight = ones if sample_weight is None else sample_weight
        return cls(torch.arange(n_samples, device="cpu")[None], weight[None])

    @classmethod
    def by_label(cls, labels: Tensor, n_groups: int, sample_weight: Tensor | None = None) -> Groups:
        """Make a group of every label 0 ... n_groups - 1.

        Raises
        ------
        ValueError
            If a label has no samples.
        """
        counts = torch.bincount(labels, minlength=n_groups)
        if len(counts) != n_groups or counts.min() == 0:
            raise ValueError(f"every label 0..{n_groups - 1} needs samples, got {counts.tolist()}")
        return cls.of_some(labels, n_groups, sample_weight)

    @classmethod
    def of_some(cls, labels: Tensor, n_groups: int, sample_weight: Tensor | None = None) -> Groups:
        """Make a group of every label, also of those without samples: padding alone."""
        counts = torch.bincount(labels, minlength=n_groups)
        order = labels.argsort(stable=True)
        start = counts.cumsum(0) - counts
        within = torch.arange(int(counts.max()), device=labels.device).expand(n_groups, -1)
        real = within < counts[:, None]
        # An empty group at the end would start past the last sample.
        place = (start[:, None] + torch.where(real, within, 0)).clamp_max(len(order) - 1)
        index = order[place]
        weight = real.float()
        if sample_weight is not None:
            weight = weight * sample_weight[index]
        return cls(index, weight)

    def repeat(self, times: int) -> Groups:
        """Repeat every group: the restarts stand beside their original."""
        return Groups(
            self.index.repeat_interleave(times, 0), self.weight.repeat_interleave(times, 0)
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> Groups:
        """Move to a device, weights to a dtype."""
        return Groups(self.index.to(device), self.weight.to(device, dtype))
