"""One media relay process: WHIP in, WHEP out, relay-to-relay links. It never decodes media."""
