"""Tests of lateen.adapters."""
