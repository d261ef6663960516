"""How long an answer at home would take, said before it is asked for: flow, answers' lengths, forecasts."""
