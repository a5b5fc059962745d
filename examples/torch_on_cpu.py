"""torch computes the gradients, and fusedoptim takes the step, as when a GPU leaves its optimizer to the CPU.

`.numpy()` gives views of torch's memory, so that the weights are updated where torch reads them. torch adds to a
gradient in place unless it was set to None; so the views of the gradients are bound once, and zeroed in the pass.
"""

import sys

import torch

import fusedoptim as fo

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
for p in model.parameters():
    p.grad = torch.zeros_like(p)
params = {name: p.detach().numpy() for name, p in model.named_parameters()}
grads = {name: p.grad.numpy() for name, p in model.named_parameters()}
opt = fo.AdamW(params, lr=fo.schedules.one_cycle(0.02, n=steps), clip_norm=1.0)
opt.bind(grads)

x = torch.linspace(-3, 3, 256)[:, None]
for _ in range(steps):
    loss = torch.nn.functional.mse_loss(model(x), torch.sin(2 * x))
    loss.backward()  # adds to the gradients
    opt.step(zero_grads=True)
print(f"mean squared error {loss.item():.1e} after {opt.t} steps")
