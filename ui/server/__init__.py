"""Starlette routes and the gate in front of Streamlit."""
