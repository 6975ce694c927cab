"""PortAudio and PulseAudio: for `mic`, `speaker`, `devices` and `doctor`."""
