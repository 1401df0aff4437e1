"""Where inputs come from. A source lets go of an input only after the inbox has it."""
