"""Large events: how full each sector is, where that leads, and when somebody has to act."""
