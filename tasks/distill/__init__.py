"""Distillation with a teacher at hand: from its distributions over the students' rows, or over what students sample.

`config.py` has the choices, `teacher.py` the teacher's view of a batch, `rows.py` what a step learns from, `worker.py`
is the child process; the stage is `tasks/train/distill.py`. Fine-tuning on the teacher's texts alone, as DeepSeek-R1's
students had it (arXiv 2501.12948, section 2.4), is `tasks/train/fine_tune.py`.
"""
