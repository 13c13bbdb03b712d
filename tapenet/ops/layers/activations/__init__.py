"""Activation functions.

None of them warns or gives nan at large finite arguments, in the forward or in the rules. Where a mask decides,
`kept_where(mask, g)` keeps what `np.where` promises, whose branches cost ten times as much on a mask without pattern:
where the mask is false the gradient is 0, also if an infinite one arrives.
"""
