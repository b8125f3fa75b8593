"""What breaks the service on purpose: killed, frozen and cut off under load, with nothing lost or doubled after."""
