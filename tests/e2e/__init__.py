"""A package, so that the mesh which its tests share ends with the last of them and leaves the machine to the others."""
