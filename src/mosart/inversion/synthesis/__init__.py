"""Analysis by synthesis: render the ground and compare, instead of integrating the image.

One idea a module: :mod:`ground` (the reference's profiles), :mod:`render` (forward model and its
derivatives), :mod:`law` and :mod:`reflectivity` (what the reference image says of the scattering),
:mod:`reading`, :mod:`noise` and :mod:`gains` (what dates say by themselves), :mod:`againstdem`
(the reference against its DEM), :mod:`reference` (all that epochs share), :mod:`nodes` and :mod:`prior`
(the unknown fields), :mod:`narrow` (what it holds back), :mod:`solver` and :mod:`band`,
:mod:`search` (a start for changes of any size, on :mod:`matching`, :mod:`costs` and :mod:`belief`),
:mod:`laying` and :mod:`texture` (kept or new rock), :mod:`hypotheses` and :mod:`rivals` (which
explanation holds where), :mod:`look` (an image against its rendering),
:mod:`problem` (unknown fields that one or more looks see), :mod:`learning` (envelopes and noise),
:mod:`newton` (the refinement), :mod:`window` (again, in part), :mod:`posterior`,
:mod:`epoch` (an epoch against the reference),
:mod:`invert` (from a stack to a result). Several looks of one ground:
:mod:`sharedground` (where their rows lie), :mod:`mapped` (laid on one map), :mod:`kept` and :mod:`joint`,
:mod:`together` (one epoch), :mod:`directions` (from how many sides), :mod:`onlook` and :mod:`onmap` (the
results), :mod:`several` (from stacks to a result).
"""
