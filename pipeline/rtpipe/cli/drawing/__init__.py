"""The pictures of `rtpipe graph`: `facts` says what there is, each other module is a format."""
