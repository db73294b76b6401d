"""What an hour and a kilowatt-hour cost, and how much a core draws: `RIGOR_PRICES` as JSON, or these defaults."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Prices(BaseModel):
    """Prices of the ledger, such as {"gpu_hour": 2.1, "currency": "USD"}. They change no artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    currency: str = "EUR"
    """What the amounts are in; only printed."""
    cpu_hour: float = Field(default=0.04, ge=0)
    """One core for an hour."""
    gpu_hour: float = Field(default=2.5, ge=0)
    """One GPU for an hour."""
    kilowatt_hour: float = Field(default=0.0, ge=0)
    """Electricity. 0 where the hours' price has it in it, as in a cloud."""
    watts_a_core: float = Field(default=12.0, ge=0, le=1000)
    """Draw of a working core, its share of the machine included, where no counter tells. W"""
    watts_a_gpu: float = Field(default=400.0, ge=0, le=5000)
    """Draw of a working GPU where no counter tells. W"""

    def amount(self, cpu_seconds: float, gpu_seconds: float, energy_joules: float) -> float:
        """Money for that use, in `currency`."""
        hours = cpu_seconds / 3600 * self.cpu_hour + gpu_seconds / 3600 * self.gpu_hour
        return hours + energy_joules / 3.6e6 * self.kilowatt_hour
