"""From the text of a pipeline file to a checked `PipelineSpec`; `rtpipe.load` is the way in.

Reading order: `reader` (text to nodes that know their place), `document` (several files and
overrides become one), `resolve` (references filled, everything checked), then what these call.
"""
