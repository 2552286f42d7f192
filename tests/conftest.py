"""What all tests share: deterministic hypothesis without deadlines (machines are shared)."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "vafa", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vafa")
