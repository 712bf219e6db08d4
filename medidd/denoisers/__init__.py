"""Denoisers: diffusion models of films, for the methods that draw S from one.

``diffusion`` is the model, ``latents`` what it works on, ``training`` how it is trained on T,
``shapes`` the sizes it comes in, ``trained`` a denoiser on disk. MONAI makes the networks and the
schedules; it is imported where the first network is built.
"""
