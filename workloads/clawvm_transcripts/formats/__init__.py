"""The formats of recorded sessions: one small module each over the common event stream.

A module gives one ``Format``; ``clawvm_transcripts.registry`` lists them.
"""
