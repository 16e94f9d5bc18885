"""Simulated thermometers, each with its own faults: the true distribution of tasks is known.

A thermistor has the resistance R = R0 exp(B (1/T - 1/T0)), T in kelvin and T0 = 298.15 K (25 °C): the B-parameter
form of the Steinhart-Hart equation. A thermometer turns R into a temperature by the R0 and B of the data sheet.
A real one has others, and warms itself a little. What it shows is then wrong, by a curve of its own.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator, check_number

from .curves import Curves

KELVIN, T0, B = 273.15, 298.15, 3950.0
SHOWN = torch.arange(-20.0, 101.0, 5.0, dtype=torch.float32)
"""The temperatures, as shown, at which every device is compared with a reference: -20 to 100 °C."""

ON_THE_DESK = (SHOWN >= 10) & (SHOWN <= 40)
"""Where a buyer can compare without an oven or a freezer."""


@dataclass(frozen=True)
class Sensors:
    """The distribution of devices: spreads of ln(R0) and of B (relative), self-heating, noise of the reference in K.

    ln(R0' / R0) ~ N(0, resistance²), B' / B ~ N(1, slope²), self-heating uniform on [0, heating] K. Raises ValueError
    for a negative value.

    >>> curves = Sensors().measured(3, generator=torch.Generator().manual_seed(0))
    >>> curves.values.shape, curves.what
    (torch.Size([3, 25]), 'correction (°C)')
    """

    resistance: float = 0.03
    slope: float = 0.02
    heating: float = 1.0
    noise: float = 0.15

    def __post_init__(self) -> None:
        for name in ("resistance", "slope", "heating", "noise"):
            check_number(name, getattr(self, name), at_least=0)

    def devices(self, n: int, *, generator: Generator) -> Tensor:
        """Draw the faults of ``n`` devices: ``(n, 3)``, ln(R0' / R0), B' / B and the self-heating."""
        check_count("n", n, at_least=1)
        normal = torch.randn(n, 2, generator=check_generator(generator), dtype=torch.float32)
        heat = torch.rand(n, generator=generator, dtype=torch.float32)
        return torch.stack([self.resistance * normal[:, 0], 1 + self.slope * normal[:, 1], self.heating * heat], -1)

    @staticmethod
    def correction(devices: Tensor, reading: Tensor = SHOWN) -> Tensor:
        """What must be added to the temperature ``reading (place,)`` in °C by ``devices (n, 3)``: ``(n, place)``, in K.

        The reading says 1/T_shown = 1/T0 + ln(R / R0) / B; the device's own R0', B' give the thermistor's
        temperature, and the self-heating comes off it.

        >>> Sensors.correction(torch.tensor([[0.0, 1.0, 0.5]]), torch.tensor([25.0]))
        tensor([[-0.5000]])
        """
        log_ratio = B * (1 / (reading.double() + KELVIN) - 1 / T0)
        log_r, b, heat = devices.double().unbind(-1)
        true = 1 / (1 / T0 + (log_ratio - log_r[:, None]) / (B * b[:, None]))
        return (true - KELVIN - reading.double() - heat[:, None]).float()

    def measured(self, n: int, *, generator: Generator) -> Curves:
        """Draw ``n`` devices, each compared with the noisy reference at all of `SHOWN`."""
        clean = self.correction(self.devices(n, generator=generator))
        values = clean + self.noise * torch.randn(clean.shape, generator=generator, dtype=torch.float32)
        return Curves(tuple(f"sensor {i + 1}" for i in range(n)), SHOWN, values, "correction (°C)", "shown (°C)")

    def best_guess(self, readings: Tensor, values: Tensor, *, n: int = 20_000, generator: Generator) -> Tensor:
        """The posterior mean of the correction at all of `SHOWN`: the best forecast there is, by simulation.

        ``n`` devices are drawn from the true distribution and weighed by how well each explains
        ``values (task, example)`` at ``readings (task, example)``, by exp(-|misfit|² / (2 noise²)) (importance
        sampling, Robert & Casella 2004, section 3.3). Gives ``(task, 25)``. Raises ValueError without noise.

        >>> nothing = torch.zeros(1, 0)
        >>> Sensors().best_guess(nothing, nothing, generator=torch.Generator().manual_seed(0))[0, 9].round(decimals=1)
        tensor(-0.5000)
        """
        check_number("noise", self.noise, above=0)
        clean = self.correction(self.devices(n, generator=generator))
        places = (readings[..., None] - SHOWN).abs().argmin(-1)
        # |misfit|² = |clean|² - 2 clean · values + ..., so that all tasks are two products of matrices
        measured_at = torch.nn.functional.one_hot(places, len(SHOWN)).float()
        misfit = measured_at.sum(-2) @ clean.square().T - 2 * (measured_at * values[..., None]).sum(-2) @ clean.T
        return (-misfit / (2 * self.noise**2)).softmax(-1) @ clean
