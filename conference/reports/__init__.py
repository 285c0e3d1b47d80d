"""Reports of a conference: figures by source, and how they are written."""
