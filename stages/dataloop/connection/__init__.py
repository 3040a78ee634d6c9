"""How Dataloop is talked to: logins, requests that are sent once, and what becomes of answers."""
