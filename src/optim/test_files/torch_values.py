"""Writes torch_values.txt: trajectories of torch.optim's Adam, AdamW and RAdam over eight steps.

    python torch_values.py > torch_values.txt        (made with torch 1.13.1, in float64)

torch adds epsilon after the bias correction of the second moment, we add it before; torch gets
epsilon / sqrt(1 - beta2^t) at step t, which is the same thing. torch's RAdam adds it as we do, rectifies from
rho_t > 5 on, and puts the decay into the gradient: here its threshold is replaced by the paper's 4, and the decay is
taken from the parameter before the step.
"""
import inspect
import math

import torch
from torch.optim import radam as radam_module

LR, BETA1, BETA2, EPS = 0.01, 0.9, 0.98, 1e-3
START = [0.5, -1.25, 2.0, 0.001, -0.75]


def gradient(i, step):
    return math.sin(1.7 * i + 0.9 * step) * 10.0 ** (i - 3)


source = inspect.getsource(radam_module._single_tensor_radam)
assert "rho_t > 5." in source
exec(compile(source.replace("rho_t > 5.", "rho_t > 4."), "radam", "exec"), vars(radam_module))


def run(kind, decay):
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    classes = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
    weight_decay = 0.0 if kind == "radam" else decay
    optimizer = classes[kind]([p], lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=weight_decay)
    for step in range(8):
        p.grad = torch.tensor([gradient(i, step) for i in range(len(START))], dtype=torch.float64)
        if kind == "radam":
            with torch.no_grad():
                p.mul_(1 - LR * decay)
        else:
            optimizer.param_groups[0]["eps"] = EPS / math.sqrt(1 - BETA2 ** (step + 1))
        optimizer.step()
        print(kind, decay, step, *("%.12g" % x for x in p.tolist()))


for kind in ("adam", "adamw", "radam"):
    for decay in (0.0, 0.1):
        run(kind, decay)
