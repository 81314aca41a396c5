"""Configurations for tests."""

from train.settings.config import Config


def changed(config: Config, /, **values) -> Config:
    """The configuration with other values of its options."""
    return Config.of({**config.flat, **values}, config.given)


def picked(config: Config, *names: str) -> tuple:
    """The values of some options."""
    return tuple(config.flat[name] for name in names)
