"""A small transformer learns to write like this project's changelog, letter by letter, on the CPU in bfloat16.

Its weights are bfloat16, and so are the gradients. The step keeps the other 16 bits of each weight, so that nothing is
lost by rounding, and reads and writes all of it in one pass: no cast of whole tensors anywhere.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from fusedoptim.torch import AdamW

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
text = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])
torch.manual_seed(0)
length, width = 64, 64
layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
body, mask = (
    nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
    torch.full((length, length), -torch.inf).triu(1),
)
parts = {"letter": nn.Embedding(len(letters), width), "place": nn.Embedding(length, width), "body": body}
model = nn.ModuleDict(parts | {"out": nn.Linear(width, len(letters))}).bfloat16()
opt = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01, clip_norm=1.0)
schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 3e-3, total_steps=steps, cycle_momentum=False)
for _ in range(steps):
    begins = torch.randint(len(data) - length - 1, (16,))[:, None] + torch.arange(length + 1)
    x, y = data[begins][:, :-1], data[begins][:, 1:]
    hidden = model["letter"](x) + model["place"].weight
    scores = model["out"](model["body"](hidden, mask=mask.bfloat16(), is_causal=True))
    loss = nn.functional.cross_entropy(scores.flatten(0, 1).float(), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
print(f"{loss.item() / 0.6931:.2f} bits a letter after {steps} steps")
