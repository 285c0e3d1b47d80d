"""Who the delegates of a conference are: the people store, what is imported into it, and what is erased from it."""
