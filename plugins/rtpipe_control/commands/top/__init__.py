"""`rtpipe top`: a running pipeline in a terminal. `picture` needs none; `app` is Textual's."""
