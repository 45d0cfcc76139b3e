"""The pages on which users see and end what they have connected."""
