"""The compiled solvers: quadratics, paths on Gram matrices, proximal Newton paths on rows."""
