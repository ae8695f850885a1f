"""All of torch, transformers, peft, accelerate, datasets and evaluate."""
