"""What stacks compile: the steps of plain perceptrons, from the registers up."""
