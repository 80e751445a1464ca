"""Images in memory, and the order in which they are seen.

`settings`: what can be chosen; `splits`: which images are held out; `dataset`: a batch by its
indices, translated and mirrored; `samplers`: the indices of each batch, shuffled or in order;
`balance`: the order in which every class is seen equally often; `recognition`: which changes leave
a class what it is;
`seeding`: every random draw from one seed.
"""
