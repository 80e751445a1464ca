"""Pictures as people have them, as batches of a model's images.

`decode`: one file to one small square; `convert`: paths, Pillow's pictures, arrays and tensors;
`reading`: files and folders of them.
"""
