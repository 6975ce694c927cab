"""From the text of a pipeline file to a checked `PipelineSpec`; `language.loading` is the way in.

Reading order: `rtpipe.vocabulary` (the grammar of the keys, as models), `reader` (text to nodes
that know their place), `grammar` (each file against the vocabulary), `document` (several files and
overrides become one), `resolve` (references filled, everything checked), then what these call.
"""
