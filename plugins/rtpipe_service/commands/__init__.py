"""`rtpipe service`: what it takes to write, check, start and renew a service."""
