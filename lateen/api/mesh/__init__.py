"""The kinds of `mesh.istio.io`: settings of the mesh as a whole."""
