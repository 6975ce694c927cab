"""Sound cards and their devices, for `mic`, `speaker`, and the commands `devices` and `doctor`."""
