"""Methods of the comparisons, each with its peer."""


def rows(folder, only):
    return []
