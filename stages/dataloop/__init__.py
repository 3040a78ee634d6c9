"""Annotations on the Dataloop platform: who is where, in which pose, under which object id.

connection/   how the platform is talked to            items, download, recipes    what is there
timeline/     from people to annotations, and back     labels, pictures            what they look like
delivery/     from a journal on disk to the platform   commands, asked, checkup    what people type
annotating/   a run over many items                    adapter, standing           on Dataloop's own machines
"""
