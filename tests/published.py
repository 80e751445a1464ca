"""Weights under the names of the published IB-INN code."""

import re

import torch

THEIR_NAMES = (
    (r"^log_scale$", "act_norm"),
    (r"^offset$", "act_offset"),
    (r"^subnet\.", "s."),
    (r"^subnet_high\.", "s_hi."),
    (r"^subnet_low\.", "s_lo."),
    (r"^subnet([12])\.", r"s\1."),
    (r"^dct\.matrix$", "weight"),
)


def published(classifier):
    """A classifier's weights as the published code saves them, in the middle of training."""
    first = 2 if classifier.image_shape[0] == 1 else 1
    inn = {f"module_list.{first}.tmp_var_0": torch.zeros(3)}
    for key, value in classifier.flow.state_dict().items():
        _, index, name = key.split(".", 2)
        node = f"module_list.{int(index) + first}"
        if name == "rotation.matrix":
            inn[f"{node}.w"] = value[:, :, None, None]
            inn[f"{node}.w_inv"] = value.T[:, :, None, None]
            continue
        for pattern, theirs in THEIR_NAMES:
            name = re.sub(pattern, theirs, name)
        inn[f"{node}.{name}"] = value
        if name == "weight":
            inn[f"{node}.inv_weight"] = torch.linalg.inv(value)
        if name == "s_hi.0.weight":
            inn[f"{node}.reshape_kernels.0"] = inn[f"{node}.reshape_kernels.1"] = torch.zeros(1)
    mixture = classifier.mixture
    return {
        "inn": inn,
        "mu": torch.nn.Parameter(mixture.component_means.detach()[None]),
        "phi": torch.nn.Parameter(mixture.mixture_logits.detach()),
        "opt": {"state": {}, "param_groups": [{"lr": 0.07}]},
    }
